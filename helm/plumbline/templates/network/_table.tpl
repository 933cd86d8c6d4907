{{/* Reads files/edges.yaml. `values` is .Values as plain maps (toJson, fromJson), so that a path can be followed. */}}

{{/* The value at a dotted path, as {"value": ...}; "" where there is none. Arguments: values, path. */}}
{{- define "plumbline.network.at" -}}
{{- $node := .values -}}
{{- range splitList "." .path -}}
{{- if kindIs "map" $node -}}{{- $node = get $node . -}}{{- else -}}{{- $node = "" -}}{{- end -}}
{{- end -}}
{{- dict "value" $node | toJson -}}
{{- end -}}

{{/* "true" where all conditions hold: `path`, `!path` or `path=text`. Arguments: values, conditions. */}}
{{- define "plumbline.network.holds" -}}
{{- $all := true -}}
{{- range .conditions -}}
{{- $parts := splitn "=" 2 (trimPrefix "!" .) -}}
{{- $found := (include "plumbline.network.at" (dict "values" $.values "path" $parts._0) | fromJson).value -}}
{{- $true := not (empty $found) -}}
{{- if contains "=" . -}}{{- $true = eq (toString $found) $parts._1 -}}{{- end -}}
{{- if eq $true (hasPrefix "!" .) -}}{{- $all = false -}}{{- end -}}
{{- end -}}
{{- if $all -}}true{{- end -}}
{{- end -}}

{{/* A port's number. Arguments: values, port (a number, or a path in the values). */}}
{{- define "plumbline.network.port" -}}
{{- if kindIs "string" .port -}}
{{- printf "%d" (int (include "plumbline.network.at" (dict "values" .values "path" .port) | fromJson).value) -}}
{{- else -}}
{{- printf "%d" (int .port) -}}
{{- end -}}
{{- end -}}

{{/*
Port of something outside: of its address where there is one, else the given port; "" where it has neither.
Arguments: values, outside (url: a path in the values; port: a number or a path).
*/}}
{{- define "plumbline.network.outsidePort" -}}
{{- $url := "" -}}
{{- with .outside.url -}}{{- $url = (include "plumbline.network.at" (dict "values" $.values "path" .) | fromJson).value -}}{{- end -}}
{{- if $url -}}
{{- $parsed := urlParse $url -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $parsed.host) | default (ternary "443" "80" (eq $parsed.scheme "https")) -}}
{{- else if .outside.port -}}
{{- include "plumbline.network.port" (dict "values" .values "port" .outside.port) -}}
{{- end -}}
{{- end -}}

{{/* Labels that choose a component's pods. Arguments: root, component, entry (of the table). */}}
{{- define "plumbline.network.labels" -}}
{{- if .entry.labels -}}{{- toYaml .entry.labels -}}{{- else -}}{{- include "plumbline.selectorLabels" . -}}{{- end -}}
{{- end -}}
