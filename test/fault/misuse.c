/*
 * misuse.c
 *		A function that does what the sanitizers and valgrind are to find, so that
 *		a run in which they found nothing can tell that they looked.  For tests
 *		alone.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(fault_misuse);

/*
 * SQL: fault_misuse(kind text) returns integer.
 *
 * freed: reads malloc'ed memory that is free.  beyond: reads behind what was
 * palloc'd, in the middle of a chunk.  uninitialized: decides by memory that
 * nobody wrote.  shift: shifts by more than there are bits.
 */
Datum
fault_misuse(PG_FUNCTION_ARGS)
{
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *volatile bytes = strcmp(kind, "beyond") == 0 ? palloc(17) : malloc(17);
	volatile int bits = 40;
	int			result = 0;

	if (strcmp(kind, "freed") == 0)
	{
		free(bytes);
		result = bytes[3];
	}
	else if (strcmp(kind, "beyond") == 0)
		result = bytes[18];
	else if (strcmp(kind, "uninitialized") == 0 && bytes[3] == 7)
		elog(NOTICE, "it is seven");
	else if (strcmp(kind, "shift") == 0)
		result = 1 << bits;
	PG_RETURN_INT32(result);
}
