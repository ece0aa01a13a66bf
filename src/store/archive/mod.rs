//! Archives: tar files that are read in place and written once.
