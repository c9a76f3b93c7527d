/*
 * malloc.c
 *		A malloc() that fails when it is told to.  For LD_PRELOAD, with glibc.
 */
#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);

/* How many calls from now the one to fail is; 0 for none. */
int			fault_malloc_countdown = 0;

/* How many have failed. */
int			fault_malloc_failures = 0;

static int
fails(void)
{
	if (fault_malloc_countdown == 0 || --fault_malloc_countdown > 0)
		return 0;
	fault_malloc_failures++;
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *pointer, size_t size)
{
	return fails() ? NULL : __libc_realloc(pointer, size);
}
