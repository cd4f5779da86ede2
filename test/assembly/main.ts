/** `npm run assembly`: compiles `src/assembly` into the modules the service loads. */
import { writeFileSync } from 'node:fs'
import { ASSEMBLIES, compile, pathOf } from './compile.ts'

for (const assembly of ASSEMBLIES) {
  writeFileSync(pathOf(assembly.target), await compile(assembly))
  console.log(`${assembly.target} written`)
}
