# vmhuge's completion for bash: vmhuge itself knows what there is.
_vmhuge() {
    local word line before words=() found
    # bash takes --size=2M and a name with a colon apart.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        if [[ ${#words[@]} -gt 0 && ($word == [=:]* || ${words[-1]} == *[=:]) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
    # What stands before the part of the word that bash will replace.
    before=${words[-1]}
    [[ $word == [=:] ]] || before=${before%"$word"}
    COMPREPLY=()
    mapfile -t found <<<"$(vmhuge __complete -- "${words[@]}" 2>/dev/null)"
    for line in "${found[@]}"; do
        line=${line%%$'\t'*}
        if [[ $line == :files ]]; then
            compopt -o default
            return
        fi
        [[ $line ]] || continue
        printf -v line %q "$line"
        [[ $line == "${words[-1]}"* ]] && COMPREPLY+=("${line#"$before"}")
    done
    return 0
}
complete -F _vmhuge vmhuge
