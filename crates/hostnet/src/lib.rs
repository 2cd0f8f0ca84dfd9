//! Linux host networking, typed and small: links, addresses, routes, ARP, sockets, sysctls.
