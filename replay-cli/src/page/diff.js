// A word diff of the two answers.

const WORDS = /\s+|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{M}\p{N}_]+|./gsu;

/** Splits both texts into [[piece, own]], where own marks pieces that the other text lacks; null if the texts are too long to compare. */
function wordDiff(left, right) {
  const a = left.match(WORDS) ?? [];
  const b = right.match(WORDS) ?? [];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const [m, n] = [a.length - head - tail, b.length - head - tail];
  if (m * n > 2e7) return null;

  // Longest common subsequence of the middle parts; row i holds the lengths for a[i..].
  const width = n + 1;
  const length = new Uint16Array((m + 1) * width);
  for (let i = m - 1; i >= 0; i--) {
    for (let j = n - 1; j >= 0; j--) {
      length[i * width + j] =
        a[head + i] === b[head + j]
          ? length[(i + 1) * width + j + 1] + 1
          : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
    }
  }
  const [ownA, ownB] = [new Set(), new Set()];
  let [i, j] = [0, 0];
  while (i < m || j < n) {
    if (i < m && j < n && a[head + i] === b[head + j]) {
      i++;
      j++;
    } else if (j >= n || (i < m && length[(i + 1) * width + j] >= length[i * width + j + 1])) ownA.add(head + i++);
    else ownB.add(head + j++);
  }
  const join = (pieces, own) => {
    const joined = [];
    pieces.forEach((piece, k) => {
      // A space between two own words is marked too, so that a phrase has one mark instead of one per word.
      const isOwn = own.has(k) || (/^[^\S\n]+$/.test(piece) && own.has(k - 1) && own.has(k + 1));
      if (joined.length && joined.at(-1)[1] === isOwn) joined.at(-1)[0] += piece;
      else joined.push([piece, isOwn]);
    });
    return joined;
  };
  const words = (pieces, own) => [...own].filter((k) => pieces[k].trim()).length;
  return { left: join(a, ownA), right: join(b, ownB), leftOnly: words(a, ownA), rightOnly: words(b, ownB) };
}
