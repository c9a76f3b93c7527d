# The table of bench/request, from its samples: lines of
#
#	<round> <variant> <requests per second>
#
# Goes with stats.awk.

{
	tps[$1, $2] = $3
	if ($1 > rounds)
		rounds = $1
}

function middle(a, n)
{
	sort(a, n)
	return quantile(a, n, 0.5)
}

END {
	for (r = 1; r <= rounds; r++) {
		a[r] = tps[r, "authenticate"]
		n[r] = tps[r, "nothing"]
		l[r] = tps[r, "alone"]
		ratio_to_nothing[r] = a[r] / n[r]
		ratio_to_alone[r] = a[r] / l[r]
	}
	printf "| pre-request | requests/s (median of %d) | ratio |\n|---|---:|---:|\n", rounds
	printf "| revdesk_authenticate(), row security | %.0f | |\n", ma = middle(a, rounds)
	printf "| nothing, hand-written WHERE | %.0f | **%.3f** |\n", mn = middle(n, rounds), middle(ratio_to_nothing, rounds)
	printf "| nothing, 20 rows without a WHERE | %.0f | %.3f |\n", middle(l, rounds), middle(ratio_to_alone, rounds)
	printf "\nRounds: %.3f to %.3f. A request takes %.1f us more than with nothing and a hand-written WHERE.\n",
		ratio_to_nothing[1], ratio_to_nothing[rounds], 1e6 / ma - 1e6 / mn
}
