/** What the `_bulk` stub tells of its indices, and where. `conflicts`: actions refused because a newer version was there. */
export type BulkState = { documents: number; digest: number; conflicts: number }

export const STATE_PATH = '/bench/state'
