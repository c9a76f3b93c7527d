/*
 * rate_limit.c
 *		Rate limits and quotas over one atomic number each.
 *
 * Rates are held by the generic cell rate algorithm (ITU-T I.371): the number
 * is the time at which the bucket will be full again, in nanoseconds of a
 * clock that nobody sets.  Quotas count in the day or month (UTC) that stands
 * in the upper bits of the number.  Both change by compare-and-swap alone: what
 * passes is exact however many backends take at once.
 *
 * Never raises, never allocates.
 */
#include "postgres.h"

#include "portability/instr_time.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "rate_limit.h"

/* The quota's number: a window's index above, a count below. */
#define COUNT_BITS 40
#define COUNT_MASK ((UINT64CONST(1) << COUNT_BITS) - 1)

#define NSECS_PER_USEC INT64CONST(1000)
#define NSECS_PER_SEC (NSECS_PER_USEC * USECS_PER_SEC)

static int64
monotonic_now(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MICROSEC(now) * NSECS_PER_USEC;
}

static int64
divide_up(int64 dividend, int64 divisor)
{
	return (dividend + divisor - 1) / divisor;
}

/*
 * The day or month that is now, as an index, and the seconds until its end.
 */
static uint64
current_window(bool monthly, int64 *left)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		day = now / USECS_PER_DAY + POSTGRES_EPOCH_JDATE;
	int			year;
	int			month;
	int			mday;

	if (!monthly)
	{
		*left = SECS_PER_DAY - (now / USECS_PER_SEC) % SECS_PER_DAY;
		return day;
	}
	j2date(day, &year, &month, &mday);
	*left = (int64) (date2j(year, month + 1, 1) - day) * SECS_PER_DAY -
		(now / USECS_PER_SEC) % SECS_PER_DAY;
	return (uint64) year * MONTHS_PER_YEAR + month;
}

/*
 * The time that a request takes of the bucket.  Rounded up, since less would let
 * more pass than the rate: of the highest, 1,000,000 a second, it is 1,000.
 */
static int64
rate_interval(const RdaLimits *limits)
{
	return divide_up(limits->rate_period * NSECS_PER_SEC, limits->rate);
}

/*
 * A number further ahead than the bucket is deep comes from limits that were
 * wider.  Bring it back, or it would lock the key out for as long as those
 * took.
 */
static void
pull_back(RdaBucket *bucket, uint64 old, int64 latest)
{
	if ((int64) old > latest)
		(void) pg_atomic_compare_exchange_u64(&bucket->arrival, &old, (uint64) latest);
}

static bool
take_rate(RdaBucket *bucket, const RdaLimits *limits, RdaBudget *budget)
{
	int64		interval = rate_interval(limits);
	int64		capacity = interval * limits->burst;
	int64		now = monotonic_now();
	uint64		old = pg_atomic_read_u64(&bucket->arrival);
	int64		next;

	budget->limit = limits->burst;
	budget->window = Max(capacity / NSECS_PER_SEC, 1);
	do
	{
		next = Min(Max((int64) old, now), now + capacity) + interval;
		if (next - now > capacity)
		{
			pull_back(bucket, old, now + capacity);
			budget->exceeded = true;
			budget->reset = divide_up(next - capacity - now, NSECS_PER_SEC);
			return false;
		}
	} while (!pg_atomic_compare_exchange_u64(&bucket->arrival, &old, (uint64) next));

	budget->remaining = (capacity - (next - now)) / interval;
	budget->reset = divide_up(next - now, NSECS_PER_SEC);
	return true;
}

static bool
take_quota(RdaBucket *bucket, const RdaLimits *limits, RdaBudget *budget)
{
	int64		left;
	uint64		window = current_window(limits->quota_is_monthly, &left);
	uint64		old = pg_atomic_read_u64(&bucket->quota);
	uint64		used;

	do
	{
		used = old >> COUNT_BITS == window ? (old & COUNT_MASK) : 0;
		if (used >= (uint64) limits->quota)
		{
			*budget = (RdaBudget) {
				.exceeded = true,
				.reset = left,
				.limit = limits->quota,
				.window = limits->quota_is_monthly ? 30 * SECS_PER_DAY : SECS_PER_DAY
			};
			return false;
		}
	} while (!pg_atomic_compare_exchange_u64(&bucket->quota, &old,
											 window << COUNT_BITS | (used + 1)));

	/* The rate, if there is one, says more about the next requests. */
	if (limits->rate == 0 || (int64) (limits->quota - used - 1) < budget->remaining)
		*budget = (RdaBudget) {
			.remaining = limits->quota - used - 1,
			.reset = left,
			.limit = limits->quota,
			.window = limits->quota_is_monthly ? 30 * SECS_PER_DAY : SECS_PER_DAY
		};
	return true;
}

bool
rda_limits_any(const RdaLimits *limits)
{
	return limits->rate > 0 || limits->quota > 0;
}

void
rda_bucket_init(RdaBucket *bucket)
{
	pg_atomic_init_u64(&bucket->arrival, 0);
	pg_atomic_init_u64(&bucket->quota, 0);
}

/*
 * Take one request.  Returns false, with nothing taken of what exceeded, when
 * it is over a limit; *budget says how the limit stands that binds first.
 */
bool
rda_bucket_take(RdaBucket *bucket, const RdaLimits *limits, RdaBudget *budget)
{
	memset(budget, 0, sizeof(RdaBudget));
	if (limits->rate > 0 && !take_rate(bucket, limits, budget))
		return false;
	return limits->quota == 0 || take_quota(bucket, limits, budget);
}

/*
 * Would rda_bucket_take() refuse by the rate?
 */
bool
rda_bucket_is_empty(RdaBucket *bucket, const RdaLimits *limits)
{
	int64		interval = rate_interval(limits);
	int64		capacity = interval * limits->burst;
	int64		now = monotonic_now();
	int64		start = Min(Max((int64) pg_atomic_read_u64(&bucket->arrival), now),
							now + capacity);

	return start + interval - now > capacity;
}

/*
 * Would a new bucket be as good as this one?
 */
bool
rda_bucket_is_idle(RdaBucket *bucket)
{
	uint64		window = pg_atomic_read_u64(&bucket->quota) >> COUNT_BITS;
	int64		left;

	return (int64) pg_atomic_read_u64(&bucket->arrival) <= monotonic_now() &&
		window != current_window(false, &left) &&
		window != current_window(true, &left);
}

/*
 * Keep a bucket over a restart, maybe of the machine, whose clock begins anew.
 */
void
rda_bucket_save(RdaBucket *bucket, RdaSavedBucket *saved)
{
	saved->lead = Max(divide_up((int64) pg_atomic_read_u64(&bucket->arrival) - monotonic_now(), NSECS_PER_USEC), 0);
	saved->quota = pg_atomic_read_u64(&bucket->quota);
}

void
rda_bucket_restore(RdaBucket *bucket, const RdaSavedBucket *saved)
{
	pg_atomic_write_u64(&bucket->arrival, (uint64) (monotonic_now() + saved->lead * NSECS_PER_USEC));
	pg_atomic_write_u64(&bucket->quota, saved->quota);
}
