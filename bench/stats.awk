# Medians and ratios over rounds, for report.awk and table.awk, which fill
#
#	value[test, case, script, kind, round]
#	rounds	the last round's number
#
# Costs are medians over the rounds, ratios are ratios of medians, and the
# spread beside a ratio is from the first to the third quartile of the ratios of
# the single rounds.  last_ratio is the ratio computed last, "" without one.

# Sort a[1..n], which is short.
function sort(a, n,		i, j, v)
{
	for (i = 2; i <= n; i++) {
		v = a[i]
		for (j = i - 1; j >= 1 && a[j] > v; j--)
			a[j + 1] = a[j]
		a[j + 1] = v
	}
}

# The quantile q of a[1..n], sorted, linear between its neighbours.
function quantile(a, n, q,		at, low)
{
	at = 1 + (n - 1) * q
	low = int(at)
	return low == n ? a[n] : a[low] + (at - low) * (a[low + 1] - a[low])
}

function median(test, script, kind,		round, n, a)
{
	n = 0
	for (round = 1; round <= rounds; round++)
		if ((test, script, kind, round) in value)
			a[++n] = value[test, script, kind, round]
	if (n == 0)
		return 0
	sort(a, n)
	return quantile(a, n, 0.5)
}

# "1.03 (1.01-1.06)": the kind of cost in test and script against that in test2
# and script2, over the rounds that have both.
function ratio(test, script, test2, script2, kind,		round, n, a, b, r)
{
	n = 0
	for (round = 1; round <= rounds; round++) {
		if (!((test, script, kind, round) in value) ||
			!((test2, script2, kind, round) in value) ||
			value[test2, script2, kind, round] <= 0)
			continue
		a[++n] = value[test, script, kind, round]
		b[n] = value[test2, script2, kind, round]
		r[n] = a[n] / b[n]
	}
	last_ratio = ""
	if (n == 0)
		return "-"
	sort(a, n)
	sort(b, n)
	sort(r, n)
	last_ratio = quantile(a, n, 0.5) / quantile(b, n, 0.5)
	return sprintf("%s (%s-%s)", number(last_ratio), number(quantile(r, n, 0.25)), number(quantile(r, n, 0.75)))
}

function number(r) { return sprintf(r < 0.1 ? "%.4f" : "%.2f", r) }

function cost(us) { return sprintf(us < 1000 ? "%.1f" : "%.0f", us) }
