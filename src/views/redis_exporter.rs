//! The stream metrics of redis_exporter under their own names and labels, for migrations.
//!
//! Two differences, both on purpose: an unknown lag is left out (redis_exporter has 0), and so is the ID of an entry that does
//! not exist or may not exist.

use super::families::{
    Family,
    Kind::Gauge,
    Source::{Consumer, Group, Stream},
    family, id_ms,
};
use super::number::Number::{Count, Seconds};
/// The families, with redis_exporter's own help texts.
#[rustfmt::skip]
pub const REDIS_EXPORTER_FAMILIES: &[Family] = &[
    family("redis_stream_length", Gauge, Stream(|row| Some(Count(row.read()?.length))),
        "The number of elements of the stream"),
    family("redis_stream_radix_tree_keys", Gauge, Stream(|row| Some(Count(row.read()?.radix_tree_keys?))),
        "Radix tree keys count"),
    family("redis_stream_radix_tree_nodes", Gauge, Stream(|row| Some(Count(row.read()?.radix_tree_nodes?))),
        "Radix tree nodes count"),
    family("redis_stream_last_generated_id", Gauge, Stream(|row| id_ms(row.read()?.last_generated_id)),
        "The epoch timestamp (ms) of the latest message on the stream"),
    family("redis_stream_groups", Gauge, Stream(|row| Some(Count(row.read()?.group_count()))),
        "Groups count of stream"),
    family("redis_stream_max_deleted_entry_id", Gauge, Stream(|row| id_ms(row.read()?.max_deleted_entry_id)),
        "The epoch timestamp (ms) of last message was deleted from the stream"),
    family("redis_stream_first_entry_id", Gauge, Stream(|row| id_ms(row.read()?.first_entry_id)),
        "The epoch timestamp (ms) of the first message in the stream"),
    family("redis_stream_last_entry_id", Gauge, Stream(|row| id_ms(row.last_entry())),
        "The epoch timestamp (ms) of the last message in the stream"),
    family("redis_stream_group_consumers", Gauge, Group(|row| Some(Count(row.consumer_count()?))),
        "Consumers count of stream group"),
    family("redis_stream_group_messages_pending", Gauge, Group(|row| Some(Count(row.state?.pending))),
        "Pending number of messages in that stream group"),
    family("redis_stream_group_last_delivered_id", Gauge, Group(|row| id_ms(Some(row.state?.last_delivered_id))),
        "The epoch timestamp (ms) of the last delivered message"),
    family("redis_stream_group_entries_read", Gauge, Group(|row| Some(Count(row.state?.entries_read?.try_into().ok()?))),
        "Total number of entries read from the stream group"),
    family("redis_stream_group_lag", Gauge, Group(|row| Some(Count(row.report?.lag.known()?))),
        "The number of messages waiting to be delivered to the stream group's consumers"),
    family("redis_stream_group_consumer_messages_pending", Gauge, Consumer(|it| Some(Count(it.pending))),
        "Pending number of messages for this specific consumer"),
    family("redis_stream_group_consumer_idle_seconds", Gauge, Consumer(|it| Some(Seconds(it.idle?.duration()))),
        "Consumer idle time in seconds"),
];
