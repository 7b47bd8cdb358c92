// The server counts characters as Unicode code points, JavaScript as UTF-16 units: from the one to the other. Pure.

/** The UTF-16 offsets in `text` of code point offsets, which are in ascending order. Past the end is the end. */
export function unitsOf(text, points) {
  const units = [];
  let point = 0, unit = 0;
  for (const wanted of points) {
    while (point < wanted && unit < text.length) {
      unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
      point += 1;
    }
    units.push(unit);
  }
  return units;
}

/** The part of `text` between two code point offsets. */
export function slicePoints(text, start, end) {
  const [from, to] = unitsOf(text, [start, end]);
  return text.slice(from, to);
}

/** How many code points a text has. */
export function countPoints(text) {
  let count = 0;
  for (let unit = 0; unit < text.length; unit += text.codePointAt(unit) > 0xffff ? 2 : 1) count += 1;
  return count;
}
