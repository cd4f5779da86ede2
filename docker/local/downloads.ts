/**
 * What is fetched once and kept in `.local/downloads/`: the parts that come from Maven.
 *
 * Rule: a folder there is whole or is not there. It is filled under another name and renamed when complete, by one process at a time;
 * what a killed run left half done is thrown away by the next.
 */
import { chmodSync, existsSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withLock } from './lock.ts'
import { isRunning } from './process-identity.ts'
import { entriesIn, type Tools } from './requirements.ts'
import { runCommand } from './run-command.ts'
import { downloadsDir } from './state.ts'

export type Download = {
  /** Shown to people, with the version. */
  title: string
  /** The folder's name: a new version is a new folder. */
  folder: string
  needs: 'maven' | 'python'
  fetch(into: string, context: { tools: Tools; signal: AbortSignal }): Promise<void>
}

const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1'
const STILL_BUSY_MS = 10_000

export function isFetched(download: Download): boolean {
  return existsSync(folderOf(download))
}

export function folderOf(download: Download): string {
  return join(downloadsDir, download.folder)
}

/** Fetches what is not there yet, one after the other: Maven's own cache is not made for two at a time. */
export async function ensureFetched(
  downloads: Download[],
  options: { tools: Tools; log: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  removeHalfDone()
  if (downloads.every(isFetched)) return
  await withLock(
    join(downloadsDir, 'lock'),
    {
      signal: options.signal,
      onWait: holder => options.log(`waiting for process ${holder.pid}, which is fetching`),
    },
    async () => {
      for (const download of downloads) if (!isFetched(download)) await fetchOne(download, options)
    },
  )
}

async function fetchOne(
  download: Download,
  { tools, log, signal }: { tools: Tools; log: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  const started = performance.now()
  const seconds = (): string => `${Math.round((performance.now() - started) / 1000)} s`
  // The process id keeps a Maven that outlived its killed parent from writing into ours.
  const unfinished = `${folderOf(download)}.unfinished-${process.pid}`
  mkdirSync(unfinished, { recursive: true })
  log(`fetching ${download.title}`)
  const stillBusy = setInterval(() => log(`fetching ${download.title}: ${seconds()} so far`), STILL_BUSY_MS)
  try {
    await download.fetch(unfinished, { tools, signal })
    makeReadableByAll(unfinished)
    renameSync(unfinished, folderOf(download))
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    if (signal.aborted) throw error
    throw new Error(
      `${download.title} could not be fetched; is the network or a mirror reachable? Run it again to go on`,
      { cause: error },
    )
  } finally {
    clearInterval(stillBusy)
  }
  log(`fetched ${download.title} in ${seconds()}`)
}

/** Unpacks a zip of Maven's into the folder. */
export function unpackFromMaven(artifact: string): Download['fetch'] {
  return async (into, { tools, signal }) => {
    await runCommand(
      [
        tools.maven!,
        '-q',
        '-B',
        `${DEPENDENCY_PLUGIN}:unpack`,
        `-Dartifact=${artifact}`,
        `-DoutputDirectory=${into}`,
      ],
      { signal, cwd: into },
    )
  }
}

/** Puts a Java program's jar and all it needs to run into the folder. */
export function jarsFromMaven(artifact: { group: string; name: string; version: string }): Download['fetch'] {
  return async (into, { tools, signal }) => {
    const pom = join(into, 'pom.xml')
    writeFileSync(
      pom,
      `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>local</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>${artifact.group}</groupId><artifactId>${artifact.name}</artifactId><version>${artifact.version}</version></dependency>
  </dependencies>
</project>
`,
    )
    await runCommand(
      [
        tools.maven!,
        '-q',
        '-B',
        '-f',
        pom,
        `${DEPENDENCY_PLUGIN}:copy-dependencies`,
        '-DincludeScope=runtime',
        `-DoutputDirectory=${into}`,
      ],
      { signal, cwd: into },
    )
  }
}

/** Folders of processes that are no more. One may come back while the Maven of a killed process finishes; then the next run takes it. */
function removeHalfDone(): void {
  for (const name of entriesIn(downloadsDir)) {
    const [, pid] = /\.unfinished-(\d+)$/.exec(name) ?? []
    if (pid !== undefined && !isRunning({ pid: Number(pid), startTime: null }))
      rmSync(name, { recursive: true, force: true })
  }
}

/** Parts started by root run as nobody and must be able to read this, whatever the umask was. Links lead out of the folder: left alone. */
function makeReadableByAll(path: string): void {
  const stats = lstatSync(path)
  if (stats.isSymbolicLink()) return
  const isFolder = stats.isDirectory()
  chmodSync(path, stats.mode | 0o444 | (isFolder || (stats.mode & 0o100) !== 0 ? 0o111 : 0))
  if (isFolder) for (const entry of entriesIn(path)) makeReadableByAll(entry)
}
