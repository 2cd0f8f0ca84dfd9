//! Parameters of the SIP probe.

use ocf::{Kind, Parameter};

pub(crate) static SIP_PROBE: Parameter = Parameter {
    name: "sip_probe",
    default: Some("auto"),
    reloadable: true,
    shortdesc: "Sockets that are probed with OPTIONS",
    longdesc: "Sockets to which start and monitor send OPTIONS: \"auto\", \"none\", or one as \
PROTOCOL:ADDRESS:PORT with udp, tcp, tls, ws or wss. Default: auto. start fails if OPTIONS is not answered \
within sip_probe_attempts times sip_probe_timeout (at least 10 seconds) after OpenSIPS is up, and as soon as \
more requests were taken than there are workers: its script must answer OPTIONS (see sip_probe_uri), or this \
must be none. If OPTIONS can't be sent to any socket, as by a firewall, start succeeds \
with a warning in the log. With \"auto\" one of the instance's own sockets of each group \
of workers is probed, all at the same time: every UDP socket, because each has workers of its own; one of \
TCP, of TLS, of WebSocket (ws, with the HTTP upgrade) and of wss; and each of those that are at an address \
of vip. Where the first of them answers, monitor reports a silent one beside it as OCF_DEGRADED: a restart \
would end the calls of all. A socket that is given here is the only one that is probed, while its address is on this host. An \
address that is on another host is never probed: the other node answers there. If no socket can be probed, \
as on a standby, only processes and sockets are checked. Sockets of other protocols (bin, hep, smpp, sctp) \
are never probed.

The certificate of a TLS socket is not verified: the connection stays on this host. A listener that \
refuses TLS, such as one that demands a client certificate, or that refuses the upgrade to WebSocket counts \
as alive if any code counts (with OpenSIPS 4.0 that proves less: its TCP workers take no part). If \
sip_probe_codes lists codes, it fails, except with \"auto\" if another socket is answered. One that closes \
connections without an answer while other sockets are answered, as at tcp_max_connections, is reported as \
OCF_DEGRADED.

With check level 20 (OCF_CHECK_LEVEL) monitor probes every such socket at the same time, unless this \
is none. The exit reason names the first one that is silent; the log names all of them.",
    ..Parameter::TEMPLATE
};

pub(crate) static SIP_PROBE_CODES: Parameter = Parameter {
    name: "sip_probe_codes",
    default: Some("any"),
    reloadable: true,
    shortdesc: "Status codes that count as alive",
    longdesc: "Status codes of an answer to OPTIONS that count as alive: \"any\", or a list like \
200,404,480-489. Default: any. A code may have a meaning of its own: with 503=degraded monitor returns \
OCF_DEGRADED, with 503=fail it fails (and Pacemaker restarts or moves the instance), for example \
\"any,503=fail\" or \"200,404,503=degraded\"; the first item that fits counts.",
    ..Parameter::TEMPLATE
};

pub(crate) static SIP_PROBE_URI: Parameter = Parameter {
    name: "sip_probe_uri",
    reloadable: true,
    shortdesc: "Request-URI of the probe",
    longdesc: "Request-URI and To of the probe, like sip:ping@example.org. Default: sip:ADDRESS:PORT of the \
socket that is probed. The request, here over UDP, is:

OPTIONS sip:192.0.2.10:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:40000;rport;branch=z9hG4bK...
Max-Forwards: 1
To: <sip:192.0.2.10:5060>
From: <sip:monitor@192.0.2.10:40000>;tag=...
Call-ID: ...@opensips-ocf
CSeq: 1 OPTIONS
Contact: <sip:monitor@192.0.2.10:40000>
User-Agent: ocf:smartvox:opensips
Accept: application/sdp
Content-Length: 0

It comes from the probed address itself. A script that drops or challenges OPTIONS answers it with these \
lines at the beginning of its main route, with modules sipmsgops and sl:

if (is_method(\"OPTIONS\") && is_myself(\"$si\")) {
    sl_send_reply(200, \"OK\");
    exit;
}",
    ..Parameter::TEMPLATE
};

pub(crate) static SIP_PROBE_FROM: Parameter = Parameter {
    name: "sip_probe_from",
    reloadable: true,
    shortdesc: "From URI of the probe",
    longdesc: "URI in From of the probe, like sip:pacemaker@example.org, for a script that accepts requests \
of its own domains alone. Default: sip:monitor@ADDRESS:PORT of the request's source.",
    ..Parameter::TEMPLATE
};

pub(crate) static SIP_PROBE_HEADERS: Parameter = Parameter {
    name: "sip_probe_headers",
    reloadable: true,
    shortdesc: "More header fields of the probe",
    longdesc: "More header fields of the probe as NAME: VALUE, separated by |, for example \
\"X-Probe: pacemaker\". Default: none. Those that the agent writes itself are refused.",
    ..Parameter::TEMPLATE
};

pub(crate) static SIP_PROBE_TIMEOUT: Parameter = Parameter {
    name: "sip_probe_timeout",
    default: Some("2s"),
    reloadable: true,
    shortdesc: "Time for one attempt of the probe",
    longdesc: "Time for one attempt of the probe, like 2s or 500ms. Default: 2s. Over UDP the request \
is sent again after 0.5 s, 1.5 s and so on (RFC 3261); over TCP and TLS it is sent once. An attempt \
that fails immediately (connection refused) still takes the full time. All attempts are shortened \
if the timeout of the action leaves less time.",
    ..Parameter::TEMPLATE
};

pub(crate) static SIP_PROBE_ATTEMPTS: Parameter = Parameter {
    name: "sip_probe_attempts",
    kind: Kind::Integer,
    default: Some("3"),
    reloadable: true,
    shortdesc: "Attempts of the probe",
    longdesc: "Number of unanswered OPTIONS attempts after which monitor fails. Default: 3. start \
waits for as long, and at least 10 seconds, after OpenSIPS is up.",
    ..Parameter::TEMPLATE
};

pub(crate) static STALL_LIMIT: Parameter = Parameter {
    name: "stall_limit",
    default: Some("10s"),
    reloadable: true,
    shortdesc: "Time without progress until monitor fails",
    longdesc: "Time from the first monitor that gets no answer to OPTIONS until monitor fails, like 30s. \
Default: 10s. Until then it returns OCF_DEGRADED: workers that wait for a database for some seconds answer \
again, and a restart would empty the memory of OpenSIPS and move the load to the peer. With mi, monitor \
does not fail while OpenSIPS makes progress over UDP (its statistic rcv_requests rises): if requests wait in \
the receive queue, it is overloaded; if none do, its script does not answer OPTIONS from this host. An \
instance with a stopped worker (SIGSTOP) fails at once, and so does a refused connection. If OPTIONS can't be \
sent (no memory, descriptor, port or route, or a firewall), monitor returns OCF_DEGRADED and does not fail, however \
long that lasts: nothing is known of OpenSIPS then, and no restart of it heals that.",
    ..Parameter::TEMPLATE
};
