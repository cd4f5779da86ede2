/**
 * The source's catalogue: which tables a selection means, their columns, types and primary keys.
 *
 * A change carries names and type numbers; whether a column belongs to the primary key is asked here, since the key flags of
 * a change follow the replica identity (all columns under FULL).
 */
import type { Client } from 'pg'
import type { Pgoutput } from 'pg-logical-replication'
import type { TableDef } from './records.ts'
import { type Column, dmsTypeOf, type SourceType } from './types.ts'

export type ReplicaIdentity = 'default' | 'nothing' | 'full' | 'index'

export type SourceTable = TableDef & { isPartitioned: boolean; identity: ReplicaIdentity }

const identities: Record<string, ReplicaIdentity> = { d: 'default', n: 'nothing', f: 'full', i: 'index' }

/** Schemas no selection reaches: PostgreSQL's own and the one this program keeps its state in. */
export const stateSchema = 'dms_stand_in'

type TypeRow = {
  oid: string
  typname: string
  typtype: string
  typcategory: string
  typbasetype: string
  typtypmod: string
}

export function createCatalog(client: Client) {
  let types = new Map<string, TypeRow>()

  async function sourceType(oid: string, modifier: number): Promise<SourceType> {
    if (!types.has(oid)) {
      const { rows } = await client.query<TypeRow>(
        'SELECT oid, typname, typtype, typcategory, typbasetype, typtypmod FROM pg_type',
      )
      types = new Map(rows.map(row => [row.oid, row]))
    }
    const type = types.get(oid)
    if (type === undefined)
      throw new Error(`type ${oid} is not in pg_type: expected every column's type there`)
    if (type.typtype === 'd') return sourceType(type.typbasetype, Number(type.typtypmod))
    return {
      name: type.typname,
      modifier,
      isArray: type.typcategory === 'A',
      isComposite: type.typtype === 'c',
      isEnum: type.typtype === 'e',
    }
  }

  async function primaryKey(tableOid: string): Promise<string[]> {
    const { rows } = await client.query<{ attname: string }>(
      `SELECT a.attname FROM pg_index i
         CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE i.indrelid = $1 AND i.indisprimary ORDER BY k.place`,
      [tableOid],
    )
    return rows.map(row => row.attname)
  }

  async function columns(tableOid: string): Promise<Column[]> {
    const { rows } = await client.query<{
      attname: string
      atttypid: string
      atttypmod: string
      attnotnull: string
    }>(
      `SELECT attname, atttypid, atttypmod, attnotnull FROM pg_attribute
        WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
      [tableOid],
    )
    const found: Column[] = []
    for (const row of rows) {
      const type = dmsTypeOf(await sourceType(row.atttypid, Number(row.atttypmod)))
      found.push({ name: row.attname, type, isNullable: row.attnotnull === 'f' })
    }
    return found
  }

  return {
    /**
     * @param selections `schema.table`, either part with `%` for any text, as in a DMS selection rule
     * @returns tables in order of their names; partitioned tables and their partitions both, as DMS reports them
     */
    async tables(selections: string[]): Promise<SourceTable[]> {
      const { rows } = await client.query<{
        oid: string
        schema: string
        name: string
        relkind: string
        relreplident: string
        has_key: string
      }>(
        `SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind, c.relreplident,
                EXISTS (SELECT 1 FROM pg_index i
                         WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate) AS has_key
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
            AND n.nspname NOT IN ('pg_catalog', 'information_schema', '${stateSchema}')
          ORDER BY n.nspname, c.relname`,
      )
      const found: SourceTable[] = []
      for (const row of rows) {
        if (!selections.some(selection => isSelected(selection, row))) continue
        const identity = identities[row.relreplident] ?? 'nothing'
        found.push({
          schema: row.schema,
          name: row.name,
          columns: await columns(row.oid),
          primaryKey: await primaryKey(row.oid),
          isPartitioned: row.relkind === 'p',
          // By default a row is known by its primary key; without one, or with a deferrable one, by nothing.
          identity: identity === 'default' && row.has_key === 'f' ? 'nothing' : identity,
        })
      }
      return found
    },

    /** The table a change stream describes, in the shape the change has (which the table may have left since). */
    async tableOf(relation: Pgoutput.MessageRelation): Promise<SourceTable> {
      const found: Column[] = []
      for (const column of relation.columns) {
        const type = dmsTypeOf(await sourceType(String(column.typeOid >>> 0), column.typeMod))
        found.push({ name: column.name, type, isNullable: true })
      }
      return {
        schema: relation.schema,
        name: relation.name,
        columns: found,
        primaryKey: await primaryKey(String(relation.relationOid >>> 0)),
        isPartitioned: false,
        identity: relation.replicaIdentity,
      }
    },
  }
}

export type Catalog = ReturnType<typeof createCatalog>

/** Names are compared as they are, upper and lower case apart; `%` stands for any text, nothing else is special. */
export function isSelected(selection: string, table: { schema: string; name: string }): boolean {
  const point = selection.indexOf('.')
  return matches(selection.slice(0, point), table.schema) && matches(selection.slice(point + 1), table.name)
}

function matches(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('%')
  if (!name.startsWith(first)) return false
  let at = first.length
  for (const [index, piece] of rest.entries()) {
    const found = index === rest.length - 1 ? name.length - piece.length : name.indexOf(piece, at)
    if (found < at || !name.startsWith(piece, found)) return false
    at = found + piece.length
  }
  return at === name.length
}
