/*
 * stubs.h
 *		What a fuzz target needs of the server that the module under test does
 *		not ask for itself.
 *
 * A target includes the module's own .c file, so that it reaches what is static
 * there.  Errors are caught with PG_TRY as in the server.
 */
#ifndef STUBS_H
#define STUBS_H

#include "pg_compat.h"

/* The last error that was raised. */
typedef struct StubError
{
	int			sqlstate;
	char		message[1024];
	char		detail[1024];
	char		log_detail[1024];	/* for the server log alone */
} StubError;

extern StubError stub_error;

/* Free all that was palloc'd since the last call. */
extern void stub_free_all(void);

/* The finding: the module broke a promise. */
#define REQUIRE(condition) \
	do { if (!(condition)) stub_broken(#condition, __FILE__, __LINE__); } while (0)

pg_noreturn extern void stub_broken(const char *promise, const char *file, int line);

#endif							/* STUBS_H */
