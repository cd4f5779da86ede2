/**
 * The role of `run` under fine-grained access control: what it asks of OpenSearch, on its own indices, and no more.
 *
 * Each permission is one without which a request of `run` is refused; a test on the security plugin takes them away one by one.
 */
import { TEMPLATE_NAME } from './template.ts'

export const ROLE_NAME = TEMPLATE_NAME

export type SecurityRole = {
  description: string
  cluster_permissions: string[]
  index_permissions: { index_patterns: string[]; allowed_actions: string[] }[]
}

/** As OpenSearch has it; members we know nothing of are kept. */
export type RoleMapping = { backend_roles?: string[]; users?: string[]; hosts?: string[] } & Record<
  string,
  unknown
>

export function securityRole(indexPatterns: readonly string[]): SecurityRole {
  return {
    description: '`run` of aurora-opensearch-cdc; put by its `bootstrap`',
    cluster_permissions: [
      // Is it there, and which version: GET /
      'cluster:monitor/main',
      // Is the template as bootstrapped?
      'indices:admin/index_template/get',
      // Of requests with several actions or documents, before each of them is looked at by its index.
      'indices:data/write/bulk',
      'indices:data/read/mget',
    ],
    index_permissions: [
      {
        index_patterns: [...indexPatterns],
        allowed_actions: [
          // Are gc_deletes and translog.durability as bootstrapped?
          'indices:monitor/settings/get',
          'indices:data/write/bulk*',
          'indices:data/write/index',
          'indices:data/write/delete',
          'indices:data/read/mget*',
          // The first row of a table makes its index, the first value of a column its field.
          'indices:admin/create',
          'indices:admin/mapping/put',
        ],
      },
    ],
  }
}

/** Whether a stored role grants just what it should. @param stored as OpenSearch answers it, with members of its own */
export function isSameRole(expected: SecurityRole, stored: unknown): boolean {
  const found = stored as Partial<SecurityRole> & { tenant_permissions?: unknown[] }
  const parts = found.index_permissions ?? []
  const [wanted] = expected.index_permissions
  return (
    isSameSet(found.cluster_permissions, expected.cluster_permissions) &&
    (found.tenant_permissions ?? []).length === 0 &&
    parts.length === 1 &&
    isSameSet(parts[0]!.index_patterns, wanted!.index_patterns) &&
    isSameSet(parts[0]!.allowed_actions, wanted!.allowed_actions) &&
    hasNoLimits(parts[0]!)
  )
}

/** Document- and field-level security of a role would hide documents from `run`. */
function hasNoLimits(part: object): boolean {
  const { dls, fls, masked_fields } = part as { dls?: string; fls?: unknown[]; masked_fields?: unknown[] }
  return !dls && (fls ?? []).length === 0 && (masked_fields ?? []).length === 0
}

function isSameSet(one: readonly string[] | undefined, other: readonly string[]): boolean {
  return JSON.stringify([...(one ?? [])].sort()) === JSON.stringify([...other].sort())
}

/** Members that OpenSearch answers and does not take. */
const OWN_MEMBERS = new Set(['reserved', 'hidden', 'static'])

/**
 * The mapping with one more backend role; who is mapped already stays so.
 *
 * @param stored undefined when there is none @returns undefined when nothing is to be changed
 */
export function mappingWith(backendRole: string, stored: RoleMapping | undefined): RoleMapping | undefined {
  const mapped = stored?.backend_roles ?? []
  if (mapped.includes(backendRole)) return undefined
  const kept = Object.entries(stored ?? {}).filter(([member]) => !OWN_MEMBERS.has(member))
  return { ...Object.fromEntries(kept), backend_roles: [...mapped, backendRole] }
}
