{{/* The Secret with the clients' keys. */}}
{{- define "plumbline.serving.keysSecret" -}}
{{- .Values.serving.auth.existingSecret | default (include "plumbline.name" (dict "root" . "component" "serving-keys")) -}}
{{- end -}}

{{/* Mounts of a container that lets clients in, or is one. Empty where no keys are asked for. */}}
{{- define "plumbline.serving.keysMounts" -}}
{{- if .Values.serving.auth.required -}}
- {name: keys, mountPath: /etc/plumbline-keys, readOnly: true}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* Their volume. */}}
{{- define "plumbline.serving.keysVolume" -}}
{{- if .Values.serving.auth.required -}}
- name: keys
  secret:
    secretName: {{ include "plumbline.serving.keysSecret" . }}
    defaultMode: 0440
{{- end -}}
{{- end -}}
