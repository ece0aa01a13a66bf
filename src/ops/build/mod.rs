//! `build`: images from files, for any number of platforms, without running anything.

mod origin;
