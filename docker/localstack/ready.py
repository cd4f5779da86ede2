"""LocalStack's ready hook: makes what CDK makes in AWS, and so loads every service once before anybody is told it is healthy.

LocalStack runs it in its own process. A second start finds an empty LocalStack, but what is there already is left as it is.
"""

import json
import os

import boto3

REGION = "us-east-1"
STREAM, SHARDS = "cdc", 4
LEASE_TABLE = "cdc-leases"
QUEUE = "cdc-dead-letters"
SOURCE_SECRET = "cdc/local/aurora-credentials"


def client(service):
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url="http://localhost:" + os.environ.get("GATEWAY_LISTEN", ":4566").rsplit(":", 1)[1],
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def unless_there(create, there, **arguments):
    try:
        create(**arguments)
    except there:
        pass


kinesis = client("kinesis")
unless_there(
    kinesis.create_stream, kinesis.exceptions.ResourceInUseException, StreamName=STREAM, ShardCount=SHARDS
)
dynamodb = client("dynamodb")
unless_there(
    dynamodb.create_table,
    dynamodb.exceptions.ResourceInUseException,
    TableName=LEASE_TABLE,
    AttributeDefinitions=[{"AttributeName": "leaseKey", "AttributeType": "S"}],
    KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
    BillingMode="PAY_PER_REQUEST",
)
client("sqs").create_queue(QueueName=QUEUE)
secrets = client("secretsmanager")
unless_there(
    secrets.create_secret,
    secrets.exceptions.ResourceExistsException,
    Name=SOURCE_SECRET,
    SecretString=json.dumps(
        {"host": "postgres", "port": 5432, "username": "shop", "password": os.environ.get("POSTGRES_PASSWORD", "")}
    ),
)
kinesis.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
dynamodb.get_waiter("table_exists").wait(TableName=LEASE_TABLE, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
print(f"stream {STREAM} with {SHARDS} shards, table {LEASE_TABLE}, queue {QUEUE}, secret {SOURCE_SECRET}: there")
