// A duration as people read it. It is the rule of format_seconds in figures.py: a test compares both.
function formatSeconds(seconds) {
  const rounded = (factor) => Math.floor(seconds * factor + 0.5);
  if (rounded(10_000) < 100) return `${rounded(10_000) / 10} ms`;
  if (rounded(1000) < 1000) return `${rounded(1000)} ms`;
  if (rounded(10) < 600) return `${(rounded(10) / 10).toFixed(1)} s`;
  return `${Math.floor(rounded(1) / 60)} min ${String(rounded(1) % 60).padStart(2, "0")} s`;
}
