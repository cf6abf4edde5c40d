"""The submission file: its rules, reader, writer, and the part file of an unfinished one."""
