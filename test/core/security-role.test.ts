import { describe, expect, test } from 'vitest'
import { isSameRole, mappingWith, securityRole } from '../../src/core/security-role.ts'

const ROLE = 'arn:aws:iam::123456789012:role/task'
const OTHER = 'arn:aws:iam::123456789012:role/other'

describe('the mapping', () => {
  test('is made where there is none', () => {
    expect(mappingWith(ROLE, undefined)).toEqual({ backend_roles: [ROLE] })
  })

  test('keeps whoever is mapped already, and members it knows nothing of, but not what OpenSearch does not take', () => {
    const stored = {
      hosts: ['h'],
      users: ['u'],
      reserved: false,
      hidden: false,
      backend_roles: [OTHER],
      and_backend_roles: ['x'],
    }
    expect(mappingWith(ROLE, stored)).toEqual({
      hosts: ['h'],
      users: ['u'],
      and_backend_roles: ['x'],
      backend_roles: [OTHER, ROLE],
    })
  })

  test('is left alone where the role is in it', () => {
    expect(mappingWith(ROLE, { backend_roles: [OTHER, ROLE] })).toBeUndefined()
  })
})

describe('the role as it is stored', () => {
  const role = securityRole(['public_*', 'shop_*'])
  const [part] = role.index_permissions
  const stored = {
    reserved: false,
    tenant_permissions: [],
    cluster_permissions: role.cluster_permissions.toReversed(),
    index_permissions: [{ ...part!, index_patterns: ['shop_*', 'public_*'], fls: [], masked_fields: [] }],
  }

  test('is the same whatever the order, and with the members OpenSearch adds', () => {
    expect(isSameRole(role, stored)).toBe(true)
  })

  test.each<[string, object]>([
    ['another cluster permission', { cluster_permissions: [...role.cluster_permissions, '*'] }],
    ['fewer', { cluster_permissions: role.cluster_permissions.slice(1) }],
    ['other indices', { index_permissions: [{ ...part!, index_patterns: ['*'] }] }],
    ['other actions', { index_permissions: [{ ...part!, allowed_actions: ['indices:*'] }] }],
    ['a second part', { index_permissions: [part!, part!] }],
    ['documents hidden from it', { index_permissions: [{ ...part!, dls: '{"match_none":{}}' }] }],
    ['fields hidden from it', { index_permissions: [{ ...part!, fls: ['~id'] }] }],
    ['tenants', { tenant_permissions: [{ tenant_patterns: ['*'] }] }],
    ['nothing', { cluster_permissions: undefined, index_permissions: undefined }],
  ])('differs with %s', (_, change) => {
    expect(isSameRole(role, { ...stored, ...change })).toBe(false)
  })
})
