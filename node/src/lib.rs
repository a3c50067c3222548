//! One popmesh device for real.
