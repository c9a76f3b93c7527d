# What one pgbench run says of its scripts, as lines of
#
#	<key> TAB <script> TAB <kind> TAB <microseconds>
#
# Input: what `pgbench -r` printed, then its transaction log, sorted by the
# latency.  key: text to put first.
#
# Each script of the run is followed by its base: the same with SELECT 1 in
# place of each measured statement.
#
#	cost	a measured statement's: the transaction's latency minus that of
#			the base's transaction, divided by the number of such statements.
#			Both are means of the faster nine tenths.
#	total	the cost of all measured statements of a transaction together
#	raw		a measured statement's latency; pgbench's mean
#
# A statement that took no time was not executed (the other branch of an \if).

FNR == 1 { file++ }

file == 1 && /^SQL script [0-9]+: / {
	number = $3 - 1
	script[number] = $NF
	sub(/.*\//, "", script[number])
	sub(/\.sql$/, "", script[number])
}

file == 1 && /\/\* measured \*\// && $1 > 0 {
	sum[number] += $1
	count[number]++
}

file == 2 { latency[$4, ++transactions[$4]] = $3 }

function say(number, kind, us)
{
	printf "%s\t%s\t%s\t%.4f\n", key, script[number], kind, us
}

# The mean of the faster nine tenths of a script's transactions.
function typical(number,	i, n, total)
{
	n = int(0.9 * transactions[number])
	for (i = 1; i <= n; i++)
		total += latency[number, i]
	return total / n
}

END {
	for (number = 0; number in script; number += 2) {
		base = number + 1
		if (transactions[number] < 2 || transactions[base] < 2)
			continue
		n = count[number]
		total = typical(number) - typical(base)
		say(number, "cost", total / n)
		say(number, "total", total)
		say(number, "raw", 1000 * sum[number] / n)
	}
}
