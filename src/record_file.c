/*
 * record_file.c
 *		A file that carries records over a clean restart of the server, as
 *		pg_stat_statements does it.
 *
 * For the postmaster alone: failures are logged, never raised.
 */
#include "postgres.h"

#include <unistd.h>

#include "storage/fd.h"

#include "record_file.h"

/* Longest record. */
#define MAX_RECORD 1024

static bool
write_records(FILE *stream, const RdaRecordFile *file, RdaRecordSource next,
			  void *state)
{
	char		record[MAX_RECORD];

	if (fwrite(&file->magic, sizeof(file->magic), 1, stream) != 1)
		return false;
	while (next(record, state))
	{
		if (fwrite(record, file->size, 1, stream) != 1)
			return false;
	}
	return true;
}

/*
 * Write the file anew.
 *
 * next: fills in a record, or returns false at the end.
 */
void
rda_record_file_write(const RdaRecordFile *file, RdaRecordSource next, void *state)
{
	FILE	   *stream = AllocateFile(file->temporary, PG_BINARY_W);
	bool		written;

	Assert(file->size <= MAX_RECORD);
	written = stream != NULL && write_records(stream, file, next, state);
	if (stream != NULL && FreeFile(stream) != 0)
		written = false;
	if (written)
	{
		(void) durable_rename(file->temporary, file->path, LOG);
		return;
	}
	ereport(LOG, (errcode_for_file_access(),
				  errmsg("could not write file \"%s\": %m", file->temporary)));
	unlink(file->temporary);
}

/*
 * Read the file, if there is one, and remove it: a crash from here on must not
 * bring the records back.
 */
void
rda_record_file_read(const RdaRecordFile *file, RdaRecordSink take)
{
	FILE	   *stream = AllocateFile(file->path, PG_BINARY_R);
	uint32		magic;
	char		record[MAX_RECORD];

	if (stream == NULL)
		return;
	if (fread(&magic, sizeof(magic), 1, stream) == 1 && magic == file->magic)
	{
		while (fread(record, file->size, 1, stream) == 1)
			take(record);
	}
	else
		ereport(LOG, (errmsg("ignoring file \"%s\": it is of another version", file->path)));
	FreeFile(stream);
	unlink(file->path);
}
