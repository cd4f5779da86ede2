/** Errors by what the caller does about them. Anything else is a mistake in the program and ends the process. */

/** Print the message, exit with 2: the settings or the command line have to change. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** Print the message, exit with 3: something outside is missing or refuses, and waiting would not mend it. */
export class OutsideError extends Error {
  override name = 'OutsideError'
}
