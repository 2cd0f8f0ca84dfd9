//! Parameters of the SIP probe.

use ocf::{Kind, Parameter};

pub(crate) static SIP_PROBE: Parameter = Parameter {
    name: "sip_probe",
    default: Some("auto"),
    reloadable: true,
    shortdesc: "Sockets that are probed with OPTIONS",
    longdesc: "Sockets to which start and monitor send OPTIONS: \"auto\", \"none\", or one as \
PROTOCOL:ADDRESS:PORT with udp, tcp, tls, ws or wss. Default: auto. start fails if OPTIONS is not answered \
within sip_probe_attempts times sip_probe_timeout (at least 10 seconds) after OpenSIPS is up: its script \
must answer OPTIONS, or this must be none. With \"auto\" one of the instance's own sockets of each group \
of workers is probed, all at the same time: every UDP socket, because each has workers of its own; one of \
TCP, of TLS, of WebSocket (ws, with the HTTP upgrade) and of wss; and each of those that are at an address \
of vip. A socket that is given here is the only one that is probed, while its address is on this host. An \
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
200,404,480-489. Default: any. The request carries Max-Forwards: 0, so that it is never forwarded; \
a configuration that checks this first answers 483.",
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
