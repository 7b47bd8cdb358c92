// How fast something goes on, from how far it was at several moments. Pure: time is an argument, in milliseconds.

const APART_MS = 200; // moments nearer to each other are one

export class Pace {
  /** What lies further back than `windowMs` counts no more. */
  constructor(windowMs) {
    this.windowMs = windowMs;
    this.moments = [];
  }

  /** At this time so much was done, all in all. */
  tell(at, done) {
    const { moments } = this;
    if (moments.length > 1 && at - moments.at(-2).at < APART_MS) moments.pop();
    moments.push({ at, done });
    while (moments.length > 2 && moments[1].at <= at - this.windowMs) moments.shift();
  }

  /** Per second; null as long as that is a guess. */
  rate(at, sureAfterMs = 1000) {
    const first = this.moments[0];
    if (first === undefined || at - first.at < sureAfterMs) return null;
    const done = this.moments.at(-1).done - first.done;
    return done > 0 ? (done * 1000) / (at - first.at) : null;
  }

  /** Seconds until `total` is reached; null as long as that is a guess. */
  left(at, total, sureAfterMs) {
    const rate = this.rate(at, sureAfterMs);
    return rate === null ? null : Math.max(0, total - this.moments.at(-1).done) / rate;
  }
}
