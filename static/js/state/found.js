// What a search in the contents of documents found. Pure.

const NOTHING = 0.005; // shown as 0.00

/** The search tells the nearest, however far they are: beside passages that fit, those that do not at all are left out. */
export function fitting(results) {
  const fits = results.filter(({ score }) => score >= NOTHING);
  return fits.length > 0 ? fits : results;
}
