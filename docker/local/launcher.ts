/** The other end of docker/launch.mjs: a program notices when the process that launched it was killed. */

/** Calls `stop` once when our launcher is gone. Nothing happens where none launched us. */
export function stopWhenLauncherDies(stop: () => void): void {
  if (process.env.CDC_LAUNCHED !== '1' || process.channel === undefined) return
  process.once('disconnect', stop)
  // Listening would keep this process alive after its work.
  process.channel?.unref()
}
