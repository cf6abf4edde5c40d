"""The submission file: its rules, its reader, its writer, and the part file of an unfinished one."""
