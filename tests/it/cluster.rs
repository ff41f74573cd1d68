//! Redis Cluster on real servers: what is seen of it, from any node's address, while slots move and nodes fail.

mod harness;
