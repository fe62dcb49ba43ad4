// What moved on a shelf between two answers.

/**
 * Compare two orders of ids.
 * @param {string[]} before ids as they stood before the last act, best first
 * @param {string[]} after ids as they stand now
 * @returns {{moves: Map<string, {kind: "new"|"up"|"down"|"same", by: number}>, gone: string[]}}
 */
export function compare(before, after) {
  const places = new Map(before.map((id, place) => [id, place]));
  const moves = new Map();
  after.forEach((id, place) => {
    const was = places.get(id);
    if (was === undefined) moves.set(id, { kind: "new", by: 0 });
    else if (was > place) moves.set(id, { kind: "up", by: was - place });
    else if (was < place) moves.set(id, { kind: "down", by: place - was });
    else moves.set(id, { kind: "same", by: 0 });
  });
  const now = new Set(after);
  return { moves, gone: before.filter((id) => !now.has(id)) };
}

/** How many ids are new, went up, went down and left: `{new, up, down, gone}`. */
export function count({ moves, gone }) {
  const total = { new: 0, up: 0, down: 0, same: 0, gone: gone.length };
  for (const { kind } of moves.values()) total[kind] += 1;
  return total;
}
