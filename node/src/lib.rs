//! One popmesh device for real.

pub mod mesh;
