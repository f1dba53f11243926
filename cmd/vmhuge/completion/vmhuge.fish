# vmhuge's completion for fish: vmhuge itself knows what there is.
function __vmhuge_complete
    set -l words (commandline -opc)
    set -l found (vmhuge __complete -- $words[2..-1] (commandline -ct) 2>/dev/null)
    if test "$found" = :files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c vmhuge -f -a '(__vmhuge_complete)'
