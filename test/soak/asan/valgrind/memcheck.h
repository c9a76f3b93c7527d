/*
 * memcheck.h
 *		PostgreSQL's requests to valgrind, of a build with USE_VALGRIND, as
 *		requests to ASan: so it knows of every palloc'd chunk what it may know of
 *		a malloc'ed one, and of every buffer whether it is pinned.
 *
 * Whether memory is initialized is nothing that ASan keeps.
 */
#ifndef ASAN_MEMCHECK_H
#define ASAN_MEMCHECK_H

#include <sanitizer/asan_interface.h>

#define RUNNING_ON_VALGRIND 0
#define VALGRIND_COUNT_ERRORS 0
#define VALGRIND_PRINTF(...) ((void) 0)

#define VALGRIND_MAKE_MEM_NOACCESS(addr, size) ASAN_POISON_MEMORY_REGION(addr, size)
#define VALGRIND_MAKE_MEM_UNDEFINED(addr, size) ASAN_UNPOISON_MEMORY_REGION(addr, size)
#define VALGRIND_MAKE_MEM_DEFINED(addr, size) ASAN_UNPOISON_MEMORY_REGION(addr, size)
#define VALGRIND_CHECK_MEM_IS_DEFINED(addr, size) ((void) 0)
#define VALGRIND_GET_VBITS(addr, bits, size) 0
#define VALGRIND_SET_VBITS(addr, bits, size) ((void) 0)

#define VALGRIND_CREATE_MEMPOOL(context, redzones, zeroed) ((void) 0)
#define VALGRIND_DESTROY_MEMPOOL(context) ((void) 0)
#define VALGRIND_MEMPOOL_ALLOC(context, addr, size) ASAN_UNPOISON_MEMORY_REGION(addr, size)
#define VALGRIND_MEMPOOL_CHANGE(context, from, to, size) ASAN_UNPOISON_MEMORY_REGION(to, size)
#define VALGRIND_MEMPOOL_FREE(context, addr) ((void) 0)

#endif							/* ASAN_MEMCHECK_H */
