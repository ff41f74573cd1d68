//! Which shipped alert reads which families. `cargo xtask dashboards` writes it, from the rule file.

/// A shipped alert, with the families that its expression reads, also through recording rules.
#[derive(Debug)]
pub struct AlertFamilies {
    /// The alert's name.
    pub name: &'static str,
    /// Those without which it does not work.
    pub needs: &'static [&'static str],
    /// Others, which mute it (`unless`).
    pub mutes: &'static [&'static str],
}

/// Each alert.
#[rustfmt::skip]
pub const ALERT_FAMILIES: &[AlertFamilies] = &[
    AlertFamilies { name: "RedisStreamEntriesLost", needs: &["streamwarden_group_entries_lost_total"], mutes: &["streamwarden_group_ignored"] },
    AlertFamilies { name: "RedisStreamLossSuspected", needs: &["streamwarden_group_entries_suspected_lost_total"], mutes: &["streamwarden_group_entries_lost_total", "streamwarden_group_ignored"] },
    AlertFamilies { name: "RedisStreamNearLoss", needs: &["streamwarden_group_lag", "streamwarden_group_lag_seconds", "streamwarden_stream_max_age_seconds", "streamwarden_stream_max_length"], mutes: &["streamwarden_group_ignored", "streamwarden_group_status", "streamwarden_retention_info"] },
    AlertFamilies { name: "RedisStreamRetentionBlocked", needs: &["streamwarden_retention_blocked"], mutes: &["streamwarden_group_status", "streamwarden_retention_over_limit_entries", "streamwarden_stream_max_length"] },
    AlertFamilies { name: "RedisStreamRetentionFailing", needs: &["streamwarden_retention_runs_total"], mutes: &[] },
    AlertFamilies { name: "RedisStreamRetentionNoLeader", needs: &["streamwarden_retention_info", "streamwarden_retention_leader"], mutes: &[] },
    AlertFamilies { name: "RedisStreamLengthOverLimit", needs: &["streamwarden_stream_length", "streamwarden_stream_max_length"], mutes: &["streamwarden_retention_blocked"] },
    AlertFamilies { name: "RedisStreamGrowingUnbounded", needs: &["streamwarden_stream_length"], mutes: &["streamwarden_stream_max_age_seconds", "streamwarden_stream_max_length"] },
    AlertFamilies { name: "RedisStreamLagTooOld", needs: &["streamwarden_group_lag_seconds", "streamwarden_stream_lag_threshold_seconds"], mutes: &["streamwarden_group_ignored", "streamwarden_group_status"] },
    AlertFamilies { name: "RedisStreamGroupStalled", needs: &["streamwarden_group_status"], mutes: &[] },
    AlertFamilies { name: "RedisStreamGroupNoConsumers", needs: &["streamwarden_group_status"], mutes: &[] },
    AlertFamilies { name: "RedisStreamGroupLagging", needs: &["streamwarden_group_status"], mutes: &["streamwarden_consumer_pending", "streamwarden_consumer_pending_limit", "streamwarden_group_entries_suspected_lost_total", "streamwarden_group_lag", "streamwarden_group_lag_seconds", "streamwarden_group_oldest_pending_age_seconds", "streamwarden_group_pending", "streamwarden_group_pending_dropped_total", "streamwarden_group_poison_entries", "streamwarden_group_stuck_consumers", "streamwarden_stream_lag_threshold", "streamwarden_stream_lag_threshold_seconds", "streamwarden_stream_pending_age_threshold_seconds", "streamwarden_stream_pending_threshold"] },
    AlertFamilies { name: "RedisStreamLagHigh", needs: &["streamwarden_group_lag", "streamwarden_stream_lag_threshold"], mutes: &["streamwarden_group_ignored", "streamwarden_group_lag_seconds", "streamwarden_group_status", "streamwarden_stream_lag_threshold_seconds"] },
    AlertFamilies { name: "RedisStreamLagGrowing", needs: &["streamwarden_group_lag", "streamwarden_stream_lag_threshold"], mutes: &["streamwarden_group_ignored", "streamwarden_group_status"] },
    AlertFamilies { name: "RedisStreamLagUnknown", needs: &["streamwarden_group_lag_known"], mutes: &["streamwarden_group_ignored"] },
    AlertFamilies { name: "RedisStreamGroupRewound", needs: &["streamwarden_group_rewinds_total"], mutes: &["streamwarden_group_ignored"] },
    AlertFamilies { name: "RedisStreamPendingTooOld", needs: &["streamwarden_group_oldest_pending_age_seconds", "streamwarden_stream_pending_age_threshold_seconds"], mutes: &["streamwarden_group_ignored", "streamwarden_group_poison_entries", "streamwarden_group_status", "streamwarden_group_stuck_consumers"] },
    AlertFamilies { name: "RedisStreamPendingHigh", needs: &["streamwarden_group_pending", "streamwarden_stream_pending_threshold"], mutes: &["streamwarden_group_ignored", "streamwarden_group_status"] },
    AlertFamilies { name: "RedisStreamPoisonEntries", needs: &["streamwarden_group_poison_entries"], mutes: &["streamwarden_group_ignored"] },
    AlertFamilies { name: "RedisStreamDeadLettersGrowing", needs: &["streamwarden_dead_letters"], mutes: &[] },
    AlertFamilies { name: "RedisStreamDeadLettersNearLimit", needs: &["streamwarden_dead_letters", "streamwarden_dead_letters_max_length"], mutes: &["streamwarden_dead_letters_stopped"] },
    AlertFamilies { name: "RedisStreamDeadLettersStopped", needs: &["streamwarden_dead_letters_stopped"], mutes: &[] },
    AlertFamilies { name: "RedisStreamConsumersStuck", needs: &["streamwarden_group_stuck_consumers"], mutes: &["streamwarden_group_ignored", "streamwarden_group_status"] },
    AlertFamilies { name: "RedisStreamConsumerNearPendingLimit", needs: &["streamwarden_consumer_pending", "streamwarden_consumer_pending_limit"], mutes: &["streamwarden_group_ignored"] },
    AlertFamilies { name: "RedisStreamPendingDropped", needs: &["streamwarden_group_pending_dropped_total"], mutes: &["streamwarden_group_ignored"] },
    AlertFamilies { name: "RedisStreamPendingDangling", needs: &["streamwarden_group_dangling_pending"], mutes: &["streamwarden_group_ignored"] },
    AlertFamilies { name: "RedisStreamErrorBudgetBurningFast", needs: &["streamwarden_slo_events_total", "streamwarden_slo_followed_total", "streamwarden_slo_in_order", "streamwarden_slo_target_ratio"], mutes: &["streamwarden_group_ignored", "streamwarden_group_status"] },
    AlertFamilies { name: "RedisStreamErrorBudgetBurningSlowly", needs: &["streamwarden_slo_events_total", "streamwarden_slo_followed_total", "streamwarden_slo_in_order", "streamwarden_slo_target_ratio"], mutes: &["streamwarden_group_ignored", "streamwarden_group_status"] },
    AlertFamilies { name: "RedisStreamMissing", needs: &["streamwarden_stream_present"], mutes: &[] },
    AlertFamilies { name: "RedisStreamsVanished", needs: &["streamwarden_discovery_last_success_timestamp_seconds", "streamwarden_found_streams"], mutes: &[] },
    AlertFamilies { name: "RedisStreamGroupMissing", needs: &["streamwarden_group_present"], mutes: &["streamwarden_group_ignored"] },
    AlertFamilies { name: "RedisStreamSilent", needs: &["streamwarden_stream_last_write_age_seconds", "streamwarden_stream_silence_threshold_seconds"], mutes: &[] },
    AlertFamilies { name: "RedisStreamUnreadable", needs: &["streamwarden_stream_unreadable"], mutes: &[] },
    AlertFamilies { name: "RedisStreamRecreated", needs: &["streamwarden_stream_recreations_total"], mutes: &[] },
    AlertFamilies { name: "RedisStreamUnhealthy", needs: &["streamwarden_stream_health"], mutes: &[] },
    AlertFamilies { name: "RedisStreamThroughputHigh", needs: &["streamwarden_stream_entries_added_total"], mutes: &[] },
    AlertFamilies { name: "RedisStreamThroughputRising", needs: &["streamwarden_stream_entries_added_total"], mutes: &[] },
    AlertFamilies { name: "RedisStreamSidecarAbsent", needs: &["streamwarden_build_info"], mutes: &[] },
    AlertFamilies { name: "RedisStreamRedisUnreachable", needs: &["streamwarden_poll_interval_seconds", "streamwarden_poll_last_success_timestamp_seconds", "streamwarden_polls_total", "streamwarden_redis_up"], mutes: &[] },
    AlertFamilies { name: "RedisStreamWritesRefused", needs: &["streamwarden_redis_writes_refused"], mutes: &[] },
    AlertFamilies { name: "RedisStreamMemoryLimitNear", needs: &["streamwarden_redis_maxmemory_reached_seconds", "streamwarden_stream_size_limit_reached_seconds"], mutes: &[] },
    AlertFamilies { name: "RedisStreamProbeFailing", needs: &["streamwarden_probe_up", "streamwarden_redis_up"], mutes: &["streamwarden_node_up"] },
    AlertFamilies { name: "RedisStreamClusterNodeDown", needs: &["streamwarden_node_up"], mutes: &[] },
    AlertFamilies { name: "RedisStreamClusterSlotsUnserved", needs: &["streamwarden_cluster_slots_unserved"], mutes: &[] },
    AlertFamilies { name: "RedisStreamClusterImbalanced", needs: &["streamwarden_node_streams"], mutes: &[] },
    AlertFamilies { name: "RedisStreamSidecarPollsFailing", needs: &["streamwarden_poll_failures_total", "streamwarden_polls_total"], mutes: &[] },
    AlertFamilies { name: "RedisStreamSidecarPollsSlow", needs: &["streamwarden_poll_duration_seconds", "streamwarden_poll_interval_seconds"], mutes: &[] },
    AlertFamilies { name: "RedisStreamSidecarDiscoveryFailing", needs: &["streamwarden_discovery_failures_total"], mutes: &[] },
    AlertFamilies { name: "RedisStreamSidecarConfigRefused", needs: &["streamwarden_config_last_reload_successful"], mutes: &[] },
    AlertFamilies { name: "RedisStreamSidecarLimitReached", needs: &["streamwarden_dropped_series", "streamwarden_skipped_lookups", "streamwarden_unwatched_groups", "streamwarden_unwatched_streams"], mutes: &[] },
    AlertFamilies { name: "RedisStreamSidecarRestarting", needs: &["process_start_time_seconds", "streamwarden_redis_up"], mutes: &[] },
];
