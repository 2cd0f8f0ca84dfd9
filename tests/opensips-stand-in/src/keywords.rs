//! The words of the configuration language of OpenSIPS 3.6, so that an unknown one is an error here
//! as there. Lists of words separated by one space.

/// Whether `word` stands in one of the lists below.
pub(crate) fn contains(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

/// Core parameters: `word = value` (3.6's `cfg.lex`).
pub(crate) const ASSIGNED: &str = "\
    abort_on_assert advertised_address advertised_port alias auto_aliases auto_scaling_cycle \
    auto_scaling_profile check_via chroot db_default_url db_max_async_connections \
    db_version_table debug_mode disable_503_translation disable_core_dump disable_dns_blacklist \
    disable_dns_failover disable_stateless_fwd dns dns_retr_no dns_retr_time dns_servers_no \
    dns_try_ipv6 dns_try_naptr dns_use_search_list dst_blacklist enable_asserts \
    event_pkg_threshold event_shm_threshold exec_dns_threshold exec_msg_threshold \
    execdnsthreshold execmsgthreshold listen log_event_enabled log_event_level_filter \
    log_facility log_json_buf_size log_level log_msg_buf_size log_name log_prefix log_stderror \
    log_stdout max_while_loops maxbuffer mcast_loopback mcast_ttl mem-group mem_dump mem_log \
    mem_warming mem_warming_enabled mem_warming_pattern_file mem_warming_percentage memdump \
    memlog mhomed mpath open_files_limit poll_method pv_print_buf_size query_buffer_size \
    query_flush_time restart_persistency_cache_file restart_persistency_size rev_dns \
    server_header server_signature shm_hash_split_percentage shm_memlog_size \
    shm_secondary_hash_size sip_warning socket stderror_enabled stderror_level_filter \
    stderror_log_format syslog_enabled syslog_facility syslog_level_filter syslog_log_format \
    syslog_name tcp_accept_aliases tcp_connect_timeout tcp_connection_lifetime tcp_keepalive \
    tcp_keepcount tcp_keepidle tcp_keepinterval tcp_max_connections tcp_max_msg_time \
    tcp_no_new_conn_bflag tcp_no_new_conn_rplflag tcp_parallel_read_on_workers \
    tcp_socket_backlog tcp_threshold tcp_workers tcpthreshold timer_workers tos udp_workers \
    user_agent_header wdir workdir xlog_buf_size xlog_force_color xlog_level xlog_print_level";

/// What begins a block of the script.
pub(crate) const ROUTES: &str = "\
    route failure_route onreply_route branch_route error_route local_route startup_route \
    timer_route event_route";

/// Modules of 3.6.8 and 4.0.1.
pub(crate) const MODULES: &str = "\
    aaa_diameter aaa_radius acc aka_av_diameter alias_db auth auth_aaa auth_aka auth_db auth_jwt \
    auth_web3 b2b_entities b2b_logic b2b_sca b2b_sdp_demux benchmark cachedb_cassandra \
    cachedb_couchbase cachedb_dynamodb cachedb_local cachedb_memcached cachedb_mongodb \
    cachedb_redis cachedb_sql call_center call_control callops carrierroute cfgutils cgrates \
    clusterer compression config cpl_c db_berkeley db_cachedb db_flatstore db_http db_mysql \
    db_oracle db_perlvdb db_postgres db_sqlite db_text db_unixodbc db_virtual dialog dialplan \
    dispatcher diversion dns_cache domain domainpolicy drouting emergency enum event_datagram \
    event_flatstore event_kafka event_rabbitmq event_routing event_sqs event_stream \
    event_virtual event_xmlrpc example exec fraud_detection freeswitch freeswitch_scripting \
    gflags group h350 http2d httpd identity imc jabber janus json jsonrpc launch_darkly ldap \
    load_balancer lua mangler mathops maxfwd media_exchange mediaproxy mi_datagram mi_fifo \
    mi_html mi_http mi_script mi_xmlrpc mi_xmlrpc_ng mid_registrar mmgeoip mqueue msilo \
    msrp_gateway msrp_relay msrp_ua nat_traversal nathelper opentelemetry options osp path \
    peering perl permissions pi_http pike presence presence_callinfo presence_dfks \
    presence_dialoginfo presence_mwi presence_reginfo presence_xcapdiff presence_xml prometheus \
    proto_bin proto_bins proto_hep proto_ipsec proto_msrp proto_sctp proto_smpp proto_tcp \
    proto_tls proto_udp proto_ws proto_wss pua pua_bla pua_dialoginfo pua_mi pua_reginfo \
    pua_usrloc pua_xmpp python qos qrouting rabbitmq_consumer rate_cacher ratelimit regex \
    registrar rest_client rls rr rtp.io rtp_relay rtpengine rtpproxy script_helper signaling \
    sip_i sipcapture sipmsgops siprec sl sngtc snmpstats sockets_mgm speeddial sql_cacher sqlops \
    sst statistics status_report stir_shaken stun tcp_mgm textops tls_mgm tls_openssl \
    tls_wolfssl tm topology_hiding tracer trie uac uac_auth uac_redirect uac_registrant \
    userblacklist usrloc uuid xcap xcap_client xml xmpp";
