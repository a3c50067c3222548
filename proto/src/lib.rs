//! popmesh without I/O.
