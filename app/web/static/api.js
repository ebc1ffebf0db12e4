/** The worker's HTTP interface: requests with a time limit, and errors with their reason. */

/** What the worker said no with; `status` is 0 where it did not answer at all. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} reason
   * @param {string} detail
   * @param {any[]} [photos]
   */
  constructor(status, reason, detail, photos = []) {
    super(detail);
    this.status = status;
    this.reason = reason;
    this.photos = photos;
  }
}

/** By how much the worker's clock is ahead of this one, in milliseconds. */
let ahead = 0;

/** Return the worker's time, milliseconds since the epoch. */
export function workerTime() {
  return Date.now() + ahead;
}

/**
 * Ask the worker and return its JSON.
 * @param {string} path
 * @param {RequestInit & {limit?: number}} [options] `limit`: seconds to wait
 * @returns {Promise<any>}
 */
export async function ask(path, { limit = 10, ...options } = {}) {
  const response = await send(path, limit, options);
  if (response.status === 401) location.reload();
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    const reason = body.reason ?? `http-${response.status}`;
    throw new ApiError(response.status, reason, body.detail ?? reason, body.photos);
  }
  return body;
}

async function send(path, limit, options) {
  try {
    const response = await fetch(path, { ...options, signal: AbortSignal.timeout(limit * 1000) });
    const date = Date.parse(response.headers.get("Date") ?? "");
    // The header has whole seconds: less than two of difference is no difference.
    if (date) ahead = Math.abs(date - Date.now()) < 2000 ? 0 : date - Date.now();
    return response;
  } catch {
    throw new ApiError(0, "no-answer", "the worker is not answering");
  }
}

/**
 * Return how long to wait before the next try: longer each time, never the same for every page.
 * @param {number} tries so far
 * @param {number} longest in milliseconds
 */
export function backoff(tries, longest = 8000) {
  return Math.min(longest, 500 * 2 ** tries) * (0.75 + Math.random() / 2);
}
