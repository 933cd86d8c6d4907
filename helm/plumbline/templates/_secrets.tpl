{{/* Secrets that are generated once. */}}

{{/*
One value of a Secret, in base64: the given one, else the one that the cluster has, else a new random one.
Without a cluster (`helm template`) there is nothing to look up, and every rendering makes another one: give
existingSecret there. Arguments: root, secret, key, given, length (32).
*/}}
{{- define "plumbline.secretValue" -}}
{{- $existing := lookup "v1" "Secret" .root.Release.Namespace .secret -}}
{{- if .given -}}
{{- .given | toString | b64enc -}}
{{- else if hasKey ($existing.data | default dict) .key -}}
{{- index $existing.data .key -}}
{{- else -}}
{{- randAlphaNum (int (default 32 .length)) | b64enc -}}
{{- end -}}
{{- end -}}

{{/* metadata of a generated Secret. With keepVolumes it stays at uninstall: kept data are worthless without their password. */}}
{{- define "plumbline.secretMetadata" -}}
{{ include "plumbline.metadata" . }}
{{- if .root.Values.keepVolumes }}
annotations:
  helm.sh/resource-policy: keep
{{- end }}
{{- end -}}

{{/* Rolls a pod when other credentials are given. Generated ones never change, and are not known before the install. */}}
{{- define "plumbline.authChecksum" -}}
checksum/credentials: {{ toJson . | sha256sum }}
{{- end -}}
