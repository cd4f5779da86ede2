/** The table file and the settings -> all a decision needs. For `run`, and for `transform`, which needs nothing else. */
import { readFileSync } from 'node:fs'
import type { Config } from '../config.ts'
import type { DecideContext } from '../core/document.ts'
import { ConfigError } from '../errors.ts'
import { noTableFile, parseTableFile, type TableFile } from '../table-file.ts'
import { decideContext } from '../tables.ts'

type Named = Pick<
  Config,
  'TABLE_FILE' | 'INDEX_PATTERNS' | 'ON_UNKNOWN_TABLE' | 'BEFORE_IMAGE' | 'BEFORE_IMAGE_PREFIX'
>

/** @throws ConfigError when the table file cannot be read or has mistakes */
export function contextOf(config: Named): Omit<DecideContext, 'range'> {
  return decideContext({
    file: tableFileOf(config),
    indexPatterns: config.INDEX_PATTERNS,
    onUnknownTable: config.ON_UNKNOWN_TABLE,
    beforeImage: config.BEFORE_IMAGE,
    beforeImagePrefix: config.BEFORE_IMAGE_PREFIX,
  })
}

/** @throws ConfigError when the table file cannot be read or has mistakes */
export function tableFileOf({ TABLE_FILE: path }: Pick<Config, 'TABLE_FILE'>): TableFile {
  return path === '' ? noTableFile : parseTableFile(read(path), path)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const message = `TABLE_FILE is ${path}, which cannot be read: ${(cause as Error).message}`
    throw new ConfigError(message, { cause })
  }
}
