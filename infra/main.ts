/** The app: every environment, so that a mistake in production's fails the synth of dev. `cdk deploy 'cdc-dev-*'` takes one. */
import { App, Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks } from 'cdk-nag'
import { environments } from './environments.ts'
import { addPipeline } from './pipeline.ts'

const app = new App()
for (const environment of Object.values(environments)) addPipeline(app, environment)
Validations.of(app).addPlugins(new AwsSolutionsChecks(app))
