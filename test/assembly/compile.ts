/** `src/assembly` -> WebAssembly -> a module of TypeScript that holds it as text, so that nothing is read or compiled at run time. */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { main } from 'assemblyscript/asc'

const PROJECT = new URL('../../', import.meta.url)

/** Each source, and the module made of it. */
export const ASSEMBLIES = [
  { source: 'src/assembly/json-scan.ts', target: 'src/core/json-scan-wasm.ts' },
  { source: 'src/assembly/get-records.ts', target: 'src/clients/get-records-wasm.ts' },
] as const

/** No runtime and no imports: functions over one memory, whose bounds the caller sees to. */
const OPTIONS = [
  '-O3',
  '--noAssert',
  ...['--runtime', 'stub'],
  ...['--enable', 'simd'],
  // Tables stand between the small things at the beginning and the text.
  ...['--memoryBase', '7168'],
  ...['--initialMemory', '4'],
]

const LINE_CHARACTERS = 100

export function pathOf(file: string): string {
  return fileURLToPath(new URL(file, PROJECT))
}

/** @returns the text of the module @throws Error with the compiler's words */
export async function compile({ source }: { source: string }): Promise<string> {
  let wasm: Uint8Array | undefined
  const name = basename(source)
  const { error, stderr } = await main([name, ...OPTIONS, '--outFile', 'out.wasm'], {
    readFile: async file => (file === name ? await readFile(pathOf(source), 'utf8') : null),
    writeFile: (_file, contents) => {
      wasm = contents as Uint8Array
    },
    listFiles: () => [],
  })
  if (error || !wasm) throw new Error(`${source} does not compile: ${stderr}`, { cause: error })
  const text = Buffer.from(wasm).toString('base64')
  const lines = text.match(new RegExp(`.{1,${LINE_CHARACTERS}}`, 'g'))!.map(line => `  '${line}',`)
  return [
    `/** WebAssembly of ${source}, as base64: \`npm run assembly\` writes this file, and a test holds it to its source. */`,
    'export const WASM = [',
    ...lines,
    "].join('')",
    '',
  ].join('\n')
}
