//! What crosses processes and hosts.
