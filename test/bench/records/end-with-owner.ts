/** Loaded into a consumer before its own code: it ends when the bench is killed outright, instead of reading on for ever. */
process.once('disconnect', () => process.exit(1))
// Listening would keep the consumer alive after its work.
process.channel?.unref()
