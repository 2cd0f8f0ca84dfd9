# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_smartvox_global_optspecs
    string join \n h/help V/version
end

function __fish_smartvox_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_smartvox_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_smartvox_using_subcommand
    set -l cmd (__fish_smartvox_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c smartvox -n "__fish_smartvox_needs_command" -s h -l help -d 'Print help'
complete -c smartvox -n "__fish_smartvox_needs_command" -s V -l version -d 'Print version'
complete -c smartvox -n "__fish_smartvox_needs_command" -f -a "diagnose" -d 'Show everything that is known of a resource on this node'
complete -c smartvox -n "__fish_smartvox_needs_command" -f -a "check" -d 'Look for mistakes in the configuration of the cluster and on this node'
complete -c smartvox -n "__fish_smartvox_needs_command" -f -a "metrics" -d 'Write metrics of the resources for Prometheus'
complete -c smartvox -n "__fish_smartvox_using_subcommand diagnose" -l format -d 'Text for people, or JSON for programs' -r -f -a "text\t''
json\t''"
complete -c smartvox -n "__fish_smartvox_using_subcommand diagnose" -l cib -d 'A saved configuration (pcs cluster cib FILE) in place of the cluster\'s' -r -F
complete -c smartvox -n "__fish_smartvox_using_subcommand diagnose" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smartvox -n "__fish_smartvox_using_subcommand check" -l format -d 'Text for people, JSON for programs, or metrics for Prometheus: the findings of each rule' -r -f -a "text\t''
json\t''
prometheus\t''"
complete -c smartvox -n "__fish_smartvox_using_subcommand check" -l cib -d 'A saved configuration (pcs cluster cib FILE) in place of the cluster\'s' -r -F
complete -c smartvox -n "__fish_smartvox_using_subcommand check" -l output -d 'Write into FILE in one step, so that a reader never finds half of it' -r -F
complete -c smartvox -n "__fish_smartvox_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c smartvox -n "__fish_smartvox_using_subcommand metrics" -l output -d 'Write into FILE in one step, so that a reader never finds half of it' -r -F
complete -c smartvox -n "__fish_smartvox_using_subcommand metrics" -s h -l help -d 'Print help (see more with \'--help\')'
