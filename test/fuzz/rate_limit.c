/*
 * rate_limit.c
 *		Fuzz: limits against a clock that the input moves.  What is taken is held
 *		against what a bucket may yield since it was new, and against what it
 *		says of itself.
 *
 * The input: limits, in the ranges that the tables' constraints allow, then a
 * byte for each step: how far the clock goes, or what is done.
 */
#include "postgres.h"

#include "portability/instr_time.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

/* The module's clock is this one. */
static int64 clock_now;

#undef INSTR_TIME_SET_CURRENT
#undef INSTR_TIME_GET_MICROSEC
#define INSTR_TIME_SET_CURRENT(t) memset(&(t), 0, sizeof(t))
#define INSTR_TIME_GET_MICROSEC(t) ((void) (t), clock_now)

#include "../../src/rate_limit.c"

#include "stubs.h"

/* The largest values that the tables' constraints allow. */
#define MAX_RATE 1000000
#define MAX_BURST 1000000
#define MAX_QUOTA INT64CONST(1000000000000)

extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

/* Midnight of a first of a month lies in the middle of the steps. */
static int64 wall_offset;

TimestampTz
GetCurrentTimestamp(void)
{
	return clock_now + wall_offset;
}

/* Days of the civil calendar, after Hinnant's "chrono-compatible algorithms". */
int
date2j(int year, int month, int day)
{
	int			era;
	int			yoe;
	int			doy;

	year += (month - 1) / MONTHS_PER_YEAR;
	month = (month - 1) % MONTHS_PER_YEAR + 1;
	year -= month <= 2;
	era = year / 400;
	yoe = year - era * 400;
	doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy + 1721120;
}

void
j2date(int jd, int *year, int *month, int *day)
{
	int			days = jd - 1721120;
	int			era = days / 146097;
	int			doe = days - era * 146097;
	int			yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int			doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int			mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = yoe + era * 400 + (*month <= 2);
}

typedef struct Input
{
	const uint8 *next;
	const uint8 *end;
} Input;

/* The next bytes as a number; zeros when there are no more. */
static uint64
take_number(Input *input, int bytes)
{
	uint64		number = 0;

	while (bytes-- > 0)
		number = number << 8 | (input->next < input->end ? *input->next++ : 0);
	return number;
}

static void
take_limits(Input *input, RdaLimits *limits)
{
	uint8		kind = take_number(input, 1);

	memset(limits, 0, sizeof(RdaLimits));
	if (kind & 1)
	{
		limits->rate = 1 + take_number(input, 3) % MAX_RATE;
		limits->rate_period = kind & 2 ? SECS_PER_MINUTE : 1;
		limits->burst = kind & 4 ? 1 + take_number(input, 3) % MAX_BURST : limits->rate;
	}
	if (kind & 8)
	{
		limits->quota = 1 + take_number(input, kind & 16 ? 1 : 5) % MAX_QUOTA;
		limits->quota_is_monthly = (kind & 32) != 0;
	}
}

/* A bucket, and how much it may have yielded. */
typedef struct Run
{
	RdaBucket	bucket;
	RdaLimits	limits;
	int64		begin;
	int64		taken;			/* since then */
	uint64		window;			/* of the quota */
	int64		taken_in_window;
} Run;

/* An accepted request: does the total stay in the limits? */
static void
count_taken(Run *run, const RdaBudget *budget)
{
	const RdaLimits *limits = &run->limits;
	int64		left;
	uint64		window = current_window(limits->quota_is_monthly, &left);

	REQUIRE(left > 0 && left <= (limits->quota_is_monthly ? 31 : 1) * SECS_PER_DAY);
	REQUIRE(window >= run->window);
	if (window != run->window)
		run->taken_in_window = 0;
	run->window = window;
	run->taken++;
	run->taken_in_window++;
	if (limits->rate > 0)
		REQUIRE((int128) (run->taken - limits->burst) * limits->rate_period * USECS_PER_SEC <=
				(int128) (clock_now - run->begin) * limits->rate);
	if (limits->quota > 0)
		REQUIRE(run->taken_in_window <= limits->quota);
	REQUIRE(!budget->exceeded);
	REQUIRE(budget->remaining >= 0 && budget->remaining < Max(budget->limit, 1));
	REQUIRE(budget->reset >= 0);
}

/* A refused one: does it pass when the answer says so? */
static void
check_refused(Run *run, const RdaBudget *budget)
{
	int64		now = clock_now;
	RdaBucket	copy = run->bucket;
	RdaBudget	later;

	REQUIRE(budget->exceeded && budget->remaining == 0 && budget->reset > 0);
	clock_now += budget->reset * USECS_PER_SEC;
	if (!rda_bucket_take(&copy, &run->limits, &later))
		REQUIRE(run->limits.rate > 0 && run->limits.quota > 0 &&	/* the other one */
				(later.limit != budget->limit || later.window != budget->window));
	clock_now = now;
}

static void
take_one(Run *run)
{
	bool		was_empty = run->limits.rate > 0 &&
		rda_bucket_is_empty(&run->bucket, &run->limits);
	RdaBudget	budget;

	if (rda_bucket_take(&run->bucket, &run->limits, &budget))
	{
		REQUIRE(!was_empty);
		count_taken(run, &budget);
	}
	else
	{
		REQUIRE(was_empty || run->limits.quota > 0);
		check_refused(run, &budget);
	}
}

/* A restart of the machine: the clock begins anew, the bucket does not. */
static void
restart(Run *run)
{
	RdaSavedBucket saved;
	int64		before = clock_now;

	rda_bucket_save(&run->bucket, &saved);
	REQUIRE(saved.lead >= 0);
	clock_now = 1;
	wall_offset += before - clock_now;
	run->begin -= before - clock_now;
	rda_bucket_init(&run->bucket);
	rda_bucket_restore(&run->bucket, &saved);
}

/* New limits, and the bucket that there is. */
static void
change_limits(Run *run, Input *input)
{
	take_limits(input, &run->limits);
	run->begin = clock_now;
	run->taken = 0;
	run->window = 0;
	run->taken_in_window = 0;
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	Input		input = {data, data + size};
	Run			run = {.begin = 0};

	clock_now = 1 + take_number(&input, 4);
	wall_offset = ((int64) take_number(&input, 2) * SECS_PER_DAY - 1) * USECS_PER_SEC - clock_now;
	wall_offset = Max(wall_offset, 0);
	rda_bucket_init(&run.bucket);
	change_limits(&run, &input);
	while (input.next < input.end)
	{
		uint8		step = take_number(&input, 1);

		if (step < 128)
			take_one(&run);
		else if (step < 248)
			clock_now += INT64CONST(1) << (step - 128) / 3;
		else if (step < 252)
			restart(&run);
		else
			change_limits(&run, &input);
	}
	REQUIRE(!rda_bucket_is_idle(&run.bucket) || run.taken == 0 ||
			current_window(true, &(int64) {0}) != run.window);
	return 0;
}
