/*
 * stubs.c
 *		The little of the server that the modules under test call: memory that
 *		the sanitizer sees, errors, and the encoders that libpgcommon lacks.
 *
 * JSON, base64, string buffers and formats are PostgreSQL's own, from
 * libpgcommon and libpgport.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "stubs.h"

sigjmp_buf *PG_exception_stack = NULL;
ErrorContextCallback *error_context_stack = NULL;
StubError	stub_error;

/* All that is palloc'd, a malloc each. */
static void **chunks = NULL;
static int	chunk_count = 0;
static int	chunk_room = 0;

static void *
add_chunk(void *chunk)
{
	if (chunk == NULL)
		abort();
	if (chunk_count == chunk_room)
	{
		chunk_room = chunk_room ? 2 * chunk_room : 64;
		chunks = realloc(chunks, chunk_room * sizeof(void *));
	}
	chunks[chunk_count++] = chunk;
	return chunk;
}

static void
remove_chunk(void *chunk)
{
	for (int i = chunk_count; --i >= 0;)
	{
		if (chunks[i] == chunk)
		{
			chunks[i] = chunks[--chunk_count];
			return;
		}
	}
	stub_broken("only what was palloc'd is freed", __FILE__, __LINE__);
}

void
stub_free_all(void)
{
	while (chunk_count > 0)
		free(chunks[--chunk_count]);
}

void *
palloc(Size size)
{
	return add_chunk(malloc(size));
}

void *
palloc0(Size size)
{
	return add_chunk(calloc(1, size));
}

void *
repalloc(void *pointer, Size size)
{
	remove_chunk(pointer);
	return add_chunk(realloc(pointer, size));
}

/* NULL is for what libpgcommon has from frontends, where that is allowed. */
void
pfree(void *pointer)
{
	if (pointer == NULL)
		return;
	remove_chunk(pointer);
	free(pointer);
}

char *
pnstrdup(const char *in, Size len)
{
	return add_chunk(strndup(in, len));
}

char *
pstrdup(const char *in)
{
	return add_chunk(strdup(in));
}

/* A new list each time. */
List *
lappend(List *list, void *datum)
{
	List	   *longer = palloc0(sizeof(List));

	longer->type = T_List;
	longer->length = longer->max_length = list_length(list) + 1;
	longer->elements = palloc(longer->length * sizeof(ListCell));
	for (int i = 0; i < list_length(list); i++)
		longer->elements[i] = list->elements[i];
	lfirst(&longer->elements[longer->length - 1]) = datum;
	return longer;
}

void
stub_broken(const char *promise, const char *file, int line)
{
	fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, promise);
	abort();
}

/* Errors: the last one is kept; those of level ERROR jump. */

static int	level;

bool
errstart(int elevel, const char *domain)
{
	level = elevel;
	memset(&stub_error, 0, sizeof(stub_error));
	return true;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	if (level < ERROR)
		return;
	if (PG_exception_stack == NULL)
		stub_broken("errors are raised where they are expected", filename, lineno);
	siglongjmp(*PG_exception_stack, 1);
}

void
pg_re_throw(void)
{
	siglongjmp(*PG_exception_stack, 1);
}

int
errcode(int sqlerrcode)
{
	stub_error.sqlstate = sqlerrcode;
	return 0;
}

#define PART(function, member) \
int \
function(const char *format,...) \
{ \
	va_list		args; \
\
	va_start(args, format); \
	vsnprintf(stub_error.member, sizeof(stub_error.member), format, args); \
	va_end(args); \
	return 0; \
}

PART(errmsg, message)
PART(errmsg_internal, message)
PART(errdetail, detail)
PART(errdetail_internal, detail)
PART(errdetail_log, log_detail)
PART(errhint, detail)

int
errhidestmt(bool hide_stmt)
{
	return 0;
}

int
errhidecontext(bool hide_ctx)
{
	return 0;
}

void
ExceptionalCondition(const char *conditionName,
#if PG_VERSION_NUM < 160000
					 const char *errorType,
#endif
					 const char *fileName, int lineNumber)
{
	stub_broken(conditionName, fileName, lineNumber);
}

/* A check hook's message is formatted and dropped. */

char	   *GUC_check_errmsg_string;
char	   *GUC_check_errdetail_string;
char	   *GUC_check_errhint_string;

void
GUC_check_errcode(int sqlerrcode)
{
	stub_error.sqlstate = sqlerrcode;
}

void
pre_format_elog_string(int errnumber, const char *domain)
{
}

char *
format_elog_string(const char *format,...)
{
	return NULL;
}

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

/* From PostgreSQL's utils/adt/encode.c, for text that was checked before. */

uint64
hex_encode(const char *src, size_t len, char *dst)
{
	for (size_t i = 0; i < len; i++)
	{
		*dst++ = "0123456789abcdef"[(unsigned char) src[i] >> 4];
		*dst++ = "0123456789abcdef"[src[i] & 0xF];
	}
	return (uint64) len * 2;
}

static int
hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *found = c == '\0' ? NULL : strchr(digits, c);

	REQUIRE(found != NULL);
	return found - digits;
}

uint64
hex_decode(const char *src, size_t len, char *dst)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		*dst++ = hex_digit(src[i]) << 4 | hex_digit(src[i + 1]);
	return len / 2;
}

/* From PostgreSQL's utils/adt/json.c. */
void
escape_json(StringInfo buf, const char *str)
{
	appendStringInfoChar(buf, '"');
	for (; *str != '\0'; str++)
	{
		if (*str == '"' || *str == '\\')
			appendStringInfo(buf, "\\%c", *str);
		else if ((unsigned char) *str < ' ')
			appendStringInfo(buf, "\\u%04x", (unsigned char) *str);
		else
			appendStringInfoChar(buf, *str);
	}
	appendStringInfoChar(buf, '"');
}
