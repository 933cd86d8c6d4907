{{/* The Secret with the bearer token that the controller asks for. */}}
{{- define "plumbline.controller.tokenSecret" -}}
{{- .Values.controller.auth.existingSecret | default (include "plumbline.name" (dict "root" . "component" "controller-token")) -}}
{{- end -}}

{{/* Where the token lies in the pods that ask for it or show it. */}}
{{- define "plumbline.controller.tokenFile" -}}
/etc/plumbline-controller/token
{{- end -}}

{{/* Mounts of a container that asks for the token, or shows it. Empty where there is none. */}}
{{- define "plumbline.controller.tokenMounts" -}}
{{- if and .Values.controller.enabled .Values.controller.auth.required -}}
- {name: controller-token, mountPath: {{ dir (include "plumbline.controller.tokenFile" .) }}, readOnly: true}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* Its volume: not by subPath, so that an exchanged token arrives in running pods. */}}
{{- define "plumbline.controller.tokenVolume" -}}
{{- if and .Values.controller.enabled .Values.controller.auth.required -}}
- name: controller-token
  secret:
    secretName: {{ include "plumbline.controller.tokenSecret" . }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.controller.auth.tokenKey }}, path: {{ base (include "plumbline.controller.tokenFile" .) }}}
{{- end -}}
{{- end -}}

{{/* "true" where the monitors post to the controller themselves. */}}
{{- define "plumbline.controller.heardDirectly" -}}
{{- if and .Values.controller.enabled (not (include "plumbline.alertmanager.url" .)) -}}true{{- end -}}
{{- end -}}
